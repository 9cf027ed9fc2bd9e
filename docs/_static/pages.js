// A click on a picture opens it alone, in full size: heat maps have small labels.
document.addEventListener("DOMContentLoaded", () => {
  for (const picture of document.querySelectorAll(".cell_output img")) {
    picture.addEventListener("click", () => { window.location = picture.src; });
  }
});

// A click on a picture, or Enter on it, shows it as large as it is: heat maps have small labels. Any click or Escape closes it.
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.body.appendChild(document.createElement("dialog"));
  const large = dialog.appendChild(document.createElement("img"));
  dialog.className = "zoom";
  dialog.addEventListener("click", () => dialog.close());
  dialog.addEventListener("keydown", (event) => event.key === "Escape" && dialog.close()); // Sphinx prevents the default
  for (const picture of document.querySelectorAll(".cell_output img")) {
    const show = () => {
      large.src = picture.src;
      large.alt = picture.alt;
      dialog.showModal();
    };
    picture.tabIndex = 0;
    picture.addEventListener("click", show);
    picture.addEventListener("keydown", (event) => event.key === "Enter" && show());
  }
});

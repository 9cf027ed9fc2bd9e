"""What Lightning's trainer needs beside model and data: checkpoints, exact resume, progress, samples."""

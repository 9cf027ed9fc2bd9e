"""Show me: runs side by side, curves, heat maps and other pictures, and notebooks."""

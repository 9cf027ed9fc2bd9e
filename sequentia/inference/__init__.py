"""What does a trained model say? The protocol of a model, sampling and scoring; needs neither data nor a Trainer."""

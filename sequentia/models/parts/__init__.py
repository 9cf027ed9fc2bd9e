"""What are architectures built of?"""

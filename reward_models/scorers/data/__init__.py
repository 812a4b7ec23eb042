"""What scorers learn from: honest rollouts and their corruptions."""

"""The agent loop's and the reward workers' processes."""

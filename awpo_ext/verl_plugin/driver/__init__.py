"""The trainer's process: reward columns in, advantages and clip radius out."""

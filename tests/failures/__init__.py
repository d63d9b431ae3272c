"""Dead letters, redriving and replaying, against a hub that fails on purpose."""

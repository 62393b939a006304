"""What every door needs once."""

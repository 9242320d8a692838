"""What was seen, as frozen data: the only thing that passes from those who look to those who judge."""

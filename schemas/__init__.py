"""What departments promise and libraries hold: declarations, rules, code lists."""

"""One endpoint: checked, compiled, called."""

"""What tests of several rooms use: servers, databases, flows, and how to wait."""

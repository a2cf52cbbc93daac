"""How much memory a request needs, and how it is made within a limit."""

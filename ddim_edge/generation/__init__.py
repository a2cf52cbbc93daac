"""Generation: requests become jobs, the engine steps them, and samples become images."""

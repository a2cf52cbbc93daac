"""Where finished images and the jobs of ``/v1/jobs`` are kept: in memory, or where several processes see them."""

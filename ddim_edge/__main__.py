"""The program ``ddim-edge`` as ``python -m ddim_edge``."""

from ddim_edge_main import main

main()

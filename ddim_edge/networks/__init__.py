"""Networks: the denoiser (UNet) with its ControlNets, the VAE and the safety checker of a bundle."""

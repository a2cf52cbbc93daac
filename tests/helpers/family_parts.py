"""What the tiny pipelines of random weights share."""

from typing import Any

from .tiny_networks import Diffusers, text_encoder, tokenizer, unet, vae

POOLED = 16
SCHEDULER: dict[str, Any] = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "clip_sample": False,
    "set_alpha_to_one": False,
    "steps_offset": 1,
}
FEWEST: dict[str, Any] = {
    "block_out_channels": (8,),
    "down_block_types": ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",),
    "attention_head_dim": 2,
}
"""Text is read in the middle alone: the fewer layers, the sooner it is traced."""
FEWEST_XL: dict[str, Any] = FEWEST | {
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + POOLED,
    "cross_attention_dim": 32,
}


def text_parts(**changes: Any) -> dict[str, Any]:
    scheduler = Diffusers.DDIMScheduler(**SCHEDULER)
    parts = {"unet": unet, "vae": vae, "text_encoder": text_encoder, "tokenizer": tokenizer}
    made = {name: make() for name, make in parts.items() if name not in changes}
    return {"scheduler": scheduler} | made | changes


def unchecked() -> dict[str, Any]:
    return {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}


def second_text() -> dict[str, Any]:
    encoder = text_encoder("CLIPTextModelWithProjection", hidden_act="gelu", projection_dim=POOLED)
    return {"text_encoder_2": encoder, "tokenizer_2": tokenizer()}

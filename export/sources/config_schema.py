"""Types and bounds of the keys of a network's config.json that the exporter reads."""

from collections.abc import Mapping
from pathlib import Path

from ddim_edge.config import read_json
from ddim_edge.config.schema import Check, any_of, check_json, flag, list_of, real, text, whole
from ddim_edge.errors import ConfigError, shown

from ..config_keys import Config

_WIDTH, _LAYERS, _LEVELS = whole(1, 2**20), whole(0, 256), 16
_SIDE = whole(1, 2**16)
_PER_LEVEL = list_of(_WIDTH, _LEVELS)
_LAYERS_PER_LEVEL = any_of(list_of(list_of(_LAYERS, _LEVELS), _LEVELS), list_of(_LAYERS, _LEVELS), _LAYERS)
_BLOCKS = list_of(text(100), _LEVELS)


def _object(schema: Mapping[str, Check]) -> Check:
    def check(name: str, value: object) -> None:
        if not isinstance(value, Mapping):
            raise ConfigError(f"{name} must be an object, not {shown(value)}")
        check_json(value, schema, name)

    return check


_CLIP: Mapping[str, Check] = {
    "hidden_size": _WIDTH,
    "intermediate_size": _WIDTH,
    "projection_dim": _WIDTH,
    "num_hidden_layers": _LAYERS,
    "max_position_embeddings": whole(2, 2**16),
    "vocab_size": whole(1, 10**7),
    "d_model": _WIDTH,
    "image_size": whole(1, 1024),
    "patch_size": whole(1, 1024),
}
_SCHEMA: Mapping[str, Check] = {
    **_CLIP,
    "text_config": _object(_CLIP),
    "vision_config": _object(_CLIP),
    "sample_size": any_of(list_of(_SIDE, 2), _SIDE),
    "in_channels": _WIDTH,
    "out_channels": _WIDTH,
    "latent_channels": _WIDTH,
    "vq_embed_dim": _WIDTH,
    "conditioning_channels": _WIDTH,
    "block_out_channels": _PER_LEVEL,
    "conditioning_embedding_out_channels": _PER_LEVEL,
    "down_block_types": _BLOCKS,
    "up_block_types": _BLOCKS,
    "layers_per_block": _LAYERS_PER_LEVEL,
    "transformer_layers_per_block": _LAYERS_PER_LEVEL,
    "num_encoder_blocks": list_of(_LAYERS, _LEVELS),
    "num_decoder_blocks": list_of(_LAYERS, _LEVELS),
    "scaling_factor": real(1e-6, 1e6),
    "num_train_timesteps": whole(1, 10**6),
    "num_class_embeds": whole(1, 10**7),
    "cross_attention_dim": any_of(_PER_LEVEL, _WIDTH),
    "encoder_hid_dim": _WIDTH,
    "time_embedding_dim": _WIDTH,
    "time_cond_proj_dim": _WIDTH,
    "addition_time_embed_dim": _WIDTH,
    "projection_class_embeddings_input_dim": _WIDTH,
    "patch_size": _WIDTH,
    "caption_channels": _WIDTH,
    "use_additional_conditions": flag,
    "num_embeds_ada_norm": whole(1, 10**7),
    **dict.fromkeys(("joint_attention_dim", "pooled_projection_dim", "pos_embed_max_size"), _WIDTH),
}


def read_config(folder: Path) -> Config:
    """The config.json of a network. ConfigError for one that cannot be read, or has keys of wrong type or size."""
    path = folder / "config.json"
    config = read_json(path)
    check_json(config, {"_class_name": text(200), "architectures": list_of(text(200), 10)}, str(path))
    check_json(config, _SCHEMA, str(path))
    return config

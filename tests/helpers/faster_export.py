"""Import this for exports with PyTorch that take less time and give the same graphs."""

import functools
import logging
from typing import Any

from onnxscript.rewriter._basics import MatchResult
from onnxscript.rewriter._matcher import SimplePatternMatcher
from sympy import Expr  # type: ignore[import-untyped]
from torch.onnx._internal._lazy_import import onnxscript_apis  # type: ignore[attr-defined]

# pytest listens to a logger that does not propagate, and PyTorch takes that for a wish to have every export traced.
logging.getLogger("torch.__trace").propagate = True

# PyTorch makes this list anew for every export, by parsing the source of 500 functions.
onnxscript_apis.get_torchlib_ops = functools.cache(onnxscript_apis.get_torchlib_ops)

# PyTorch asks it of a few lengths half a million times an export, and SymPy goes through the expression every time.
Expr.is_number = property(functools.cache(Expr.is_number.fget))

_match_all = SimplePatternMatcher.match
_no_match = MatchResult().fail("Another operator.")


def _match(self: Any, model: Any, graph: Any, node: Any, **options: Any) -> Any:
    """Look at the operator first: onnxscript lists the whole graph before, where a pattern has several outputs."""
    if not self.pattern.output_nodes[0].op.matches(node.op_type):
        return _no_match
    return _match_all(self, model, graph, node, **options)


SimplePatternMatcher.match = _match  # type: ignore[method-assign, assignment]

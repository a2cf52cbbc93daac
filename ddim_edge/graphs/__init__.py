"""Graphs: reads ONNX files without ONNX Runtime and without the package onnx."""

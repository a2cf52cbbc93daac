"""Graphs: ONNX files, read without ONNX Runtime and without the package onnx."""

"""Pretrained models of others: a GGUF file or a Hugging Face folder, checked, to fp32 weights and a tokenizer."""

"""EleutherAI's lm-eval as a stage: its tasks and its metrics, over our models and tokenizers."""

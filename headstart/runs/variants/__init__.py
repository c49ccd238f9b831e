"""Ways to train beside the plain one: LoRA and distillation."""

"""`import headstart.models.register` makes the Auto classes of transformers know the models that are headstart's own.

    import headstart.models.register
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained("transfo-xl/transfo-xl-wt103")
"""

from __future__ import annotations


def register() -> None:
    """Make transformers know Transformer-XL, and our heads on its own families; again and again does no harm."""
    import transformers

    from headstart.models.heads import custom_heads
    from headstart.models.transfo_xl import config, heads, model, tokenizer

    kind = config.TransfoXLConfig
    transformers.AutoConfig.register(kind.model_type, kind, exist_ok=True)
    for auto, cls in ((transformers.AutoModel, model.TransfoXLModel),
                      (transformers.AutoModelForCausalLM, heads.TransfoXLLMHeadModel),
                      (transformers.AutoModelForSequenceClassification, heads.TransfoXLForSequenceClassification),
                      (transformers.AutoModelForTokenClassification, heads.TransfoXLForTokenClassification),
                      (transformers.AutoModelForQuestionAnswering, heads.TransfoXLForQuestionAnswering),
                      (transformers.AutoModelForMultipleChoice, heads.TransfoXLForMultipleChoice)):
        auto.register(kind, cls, exist_ok=True)
    for config_name, name in (("OpenAIGPTConfig", "OpenAIGPT"), ("CTRLConfig", "CTRL"), ("LlamaConfig", "Llama")):
        known = getattr(transformers, config_name)
        for auto, ending in ((transformers.AutoModelForTokenClassification, "ForTokenClassification"),
                             (transformers.AutoModelForQuestionAnswering, "ForQuestionAnswering"),
                             (transformers.AutoModelForMultipleChoice, "ForMultipleChoice")):
            if hasattr(custom_heads, f"{name}{ending}"):
                auto.register(known, getattr(custom_heads, f"{name}{ending}"), exist_ok=True)
    transformers.AutoTokenizer.register(kind, tokenizer.TransfoXLTokenizer, exist_ok=True)


register()

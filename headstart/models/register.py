"""`import headstart.models.register` registers headstart's own models with the Auto classes of transformers.

    import headstart.models.register
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained("transfo-xl/transfo-xl-wt103")
"""

from __future__ import annotations


def register() -> None:
    """Register Transformer-XL and headstart's heads with transformers; calling it again changes nothing."""
    import transformers

    from headstart.models.heads import custom_heads
    from headstart.models.transfo_xl import config, heads, model, tokenizer

    config_class = config.TransfoXLConfig
    transformers.AutoConfig.register(config_class.model_type, config_class, exist_ok=True)
    for auto_class, model_class in ((transformers.AutoModel, model.TransfoXLModel),
                      (transformers.AutoModelForCausalLM, heads.TransfoXLLMHeadModel),
                      (transformers.AutoModelForSequenceClassification, heads.TransfoXLForSequenceClassification),
                      (transformers.AutoModelForTokenClassification, heads.TransfoXLForTokenClassification),
                      (transformers.AutoModelForQuestionAnswering, heads.TransfoXLForQuestionAnswering),
                      (transformers.AutoModelForMultipleChoice, heads.TransfoXLForMultipleChoice)):
        auto_class.register(config_class, model_class, exist_ok=True)
    for config_name, class_prefix in (("OpenAIGPTConfig", "OpenAIGPT"), ("CTRLConfig", "CTRL"),
                                      ("LlamaConfig", "Llama")):
        family_config = getattr(transformers, config_name)
        for auto_class, head_suffix in ((transformers.AutoModelForTokenClassification, "ForTokenClassification"),
                             (transformers.AutoModelForQuestionAnswering, "ForQuestionAnswering"),
                             (transformers.AutoModelForMultipleChoice, "ForMultipleChoice")):
            if hasattr(custom_heads, f"{class_prefix}{head_suffix}"):
                auto_class.register(family_config, getattr(custom_heads, f"{class_prefix}{head_suffix}"), exist_ok=True)
    transformers.AutoTokenizer.register(config_class, tokenizer.TransfoXLTokenizer, exist_ok=True)


register()

"""`import headstart.models.register` registers headstart's own models with the Auto classes of transformers.

    import headstart.models.register
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained("transfo-xl/transfo-xl-wt103")
"""

from __future__ import annotations

from headstart.models.families import builtin_families

AUTO_CLASSES = {"causal-language-model": "AutoModelForCausalLM",
                "sequence-classification": "AutoModelForSequenceClassification",
                "token-classification": "AutoModelForTokenClassification",
                "question-answering": "AutoModelForQuestionAnswering", "multiple-choice": "AutoModelForMultipleChoice"}


def register() -> None:
    """Register Transformer-XL and headstart's heads with transformers; calling it again changes nothing."""
    import transformers

    from headstart.models.heads.custom_heads import head_class
    from headstart.models.transfo_xl import config, model, tokenizer

    config_class = config.TransfoXLConfig
    transformers.AutoConfig.register(config_class.model_type, config_class, exist_ok=True)
    transformers.AutoModel.register(config_class, model.TransfoXLModel, exist_ok=True)
    transformers.AutoTokenizer.register(config_class, tokenizer.TransfoXLTokenizer, exist_ok=True)
    for family in builtin_families().values():
        for kind, head in family.heads.items():
            if kind in AUTO_CLASSES and not hasattr(transformers, head.cls):
                auto_class = getattr(transformers, AUTO_CLASSES[kind])
                auto_class.register(transformers.CONFIG_MAPPING[family.model_type], head_class(head.cls), exist_ok=True)


register()

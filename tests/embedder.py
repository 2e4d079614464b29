"""A sentence-embedding checkpoint of a few words: synonyms have one vector, all others are at right angles."""

from pathlib import Path

from infinity_mm.synth.engines import torch_cpu

#: Words of a line mean the same.
MEANINGS = (
    ("car", "automobile"),
    ("red", "crimson"),
    ("blue",),
    ("wall",),
    ("bridge",),
    ("thing",),
    ("picture",),
)


def build_embedder(folder: Path, hidden: int = 32, positions: int = 64) -> Path:
    """Write a BERT without attention, whose embedding of a text is the mean of its words', and return its folder."""
    torch_cpu.prepare()
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    words = [word for meaning in MEANINGS for word in meaning]
    vocabulary = {word: number for number, word in enumerate(["[UNK]", "[PAD]", *words])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="[UNK]", pad_token="[PAD]").save_pretrained(folder)
    model = BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=hidden,
            num_hidden_layers=1,
            num_attention_heads=1,
            intermediate_size=hidden,
            max_position_embeddings=positions,
        )
    )
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "LayerNorm.weight" not in name:
                weight.zero_()
        for number, meaning in enumerate(MEANINGS):
            for word in meaning:
                # Two entries that cancel keep the mean at zero, which is what the normalisation of a layer takes away.
                model.embeddings.word_embeddings.weight[vocabulary[word], 2 * number] = 1.0
                model.embeddings.word_embeddings.weight[vocabulary[word], 2 * number + 1] = -1.0
    model.save_pretrained(folder)
    return folder

"""Taggers beside the vision-language model: CLIP-style zero-shot over a vocabulary, and multi-label classifiers.

How a picture travels::

    params.Tagger --load--> models.ScoringModel                      (one actor a tagger, in a pass of its own)
    picture --open_picture, image processor, batch--> scores (labels,) --scores.choose--> Tagging
    Taggings of all taggers, and the writer's own tags --scores.merge--> rows.Tagged     (first step of the synthesis)

Nothing here imports torch or transformers before a model is loaded.
"""

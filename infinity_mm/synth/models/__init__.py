"""What is known of real model families: names, tokens of a picture, settings of the processor, the chat template.

One file per family; `families` lists them, `resolving` brings a family, a checkpoint and a recipe together.
"""

"""The engines behind `infinity_mm.synth.chat`: vLLM in process, an HTTP endpoint, transformers with a grammar.

Nothing heavy is imported here; `select.load_chat` builds the engine that a model's specification asks for.
"""

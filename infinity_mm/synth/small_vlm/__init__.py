"""A vision-language model of a million parameters that is right about pictures the project draws itself.

`scenes` says what there is in a picture, `render` draws it, `questions` knows what can be asked and the true
answers, `tasks` puts both under the synthesis' own prompts, `train` and `evaluate` do what their names say.
"""

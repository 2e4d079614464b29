"""Synthetic data in four steps, behind one seam to the vision-language model (`infinity_mm.synth.chat`)."""

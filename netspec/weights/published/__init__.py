"""Published weights: in goes what `--weights` says; out comes a file, which is downloaded where it has to be."""

"""Generated data sets of any size whose activity, popularity, tastes and ratings follow MovieLens."""

"""`refusion bench quality`: metrics of our models and of others on data sets, and the report of them."""

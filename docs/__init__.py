"""What is written about TimeCoin. A package only so that the model in it can be run and tested."""

"""How good are the models?"""

"""Onboarding: lists of devices as people have them, and what they mean. Pure; the commands read and write."""

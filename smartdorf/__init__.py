"""smartdorf: the LoRaWAN backend of the smart village."""

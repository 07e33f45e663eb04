"""python -m smartdorf"""

from smartdorf.cli.main import main

main()

"""How rows of several domains become one sequence: dealt to chunks, or drawn by weight."""

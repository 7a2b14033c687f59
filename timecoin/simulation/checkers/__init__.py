"""What must never be, checked from outside: each checker hears of statements, blocks and reports, and raises
``Violation``.
"""

"""Text that is not one example per line: tables and FASTA, recognized by their content -> examples."""

"""The ground floor: errors, files, languages and looks. Knows nothing of tensors."""

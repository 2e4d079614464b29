"""Reader families: file formats that several sources share. They know formats; sources know fields."""

"""What is compiled by Warp."""

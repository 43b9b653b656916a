// Tokens as the COCO caption scorers make them: in the Penn Treebank's way, in lower case, without
// punctuation.
#pragma once

#include <span>
#include <string>
#include <vector>

namespace dehvf {

/// The tokens of every line, separated by spaces, as Stanford CoreNLP 3.4.1's PTBTokenizer prints them with
/// -preserveLines -lowerCase: a scanner of our own, made from the Treebank's rules and from what that tool
/// does with given lines. The last token of a line depends on the next line: "plan B." before "The" loses its
/// period. Line breaks inside a line count as spaces; "5 1/2" is one token with a no-break space.
/// Different from that tool: telephone numbers with spaces are several tokens, smileys other than ":-)" and
/// its like are cut, abbreviations of the stock exchange ("Bhd.") are words, markup does not begin a
/// sentence, tokens of more than 1000 characters are cut, rare symbols and scripts go by their block.
std::vector<std::string> ptb_tokens(std::span<const std::string> lines);

/// The same without the tokens that the caption scorers leave out: '' ' `` ` . ? ! , : - -- ... ;
/// Brackets stay, as -lrb- and so on: the published list names them in capitals only.
std::vector<std::string> caption_tokens(std::span<const std::string> captions);

}  // namespace dehvf

#include <random>

#include <gmock/gmock.h>

#include "core/text/unicode_table.h"
#include "core/text/utf8.h"
#include "models/tokenizer/llama3_split.h"

namespace dehvf {
namespace {

using testing::ElementsAre;

TEST(Llama3Split, EachAlternative) {
  EXPECT_THAT(llama3_split(""), ElementsAre());
  EXPECT_THAT(llama3_split("I'm he'Ll x'y"), ElementsAre("I", "'m", " he", "'Ll", " x", "'y"));
  EXPECT_THAT(llama3_split("'so 'VEx 'l"), ElementsAre("'s", "o", " '", "VEx", " '", "l"));
  EXPECT_THAT(llama3_split("a\u0301b(c\td"), ElementsAre("a", "\u0301b", "(c", "\td"));
  EXPECT_THAT(llama3_split(" 12345a"), ElementsAre(" ", "123", "45", "a"));
  EXPECT_THAT(llama3_split("x ...\r\n\ny"), ElementsAre("x", " ...\r\n\n", "y"));
  EXPECT_THAT(llama3_split("a  \n \n  b"), ElementsAre("a", "  \n \n", " ", " b"));
  EXPECT_THAT(llama3_split("a   b\u3000\u3000"), ElementsAre("a", "  ", " b", "\u3000\u3000"));
  EXPECT_THAT(llama3_split("\t 1 \t!"), ElementsAre("\t", " ", "1", " ", "\t", "!"));
}

TEST(Llama3Split, CaseFoldsLikeUnicode) {
  EXPECT_THAT(llama3_split("'\u017fa"), ElementsAre("'\u017f", "a"));
  EXPECT_THAT(llama3_split("'\u212aa"), ElementsAre("'\u212aa"));
}

TEST(Llama3Split, WordsAreTheWholeText) {
  std::mt19937 random(3);
  const char32_t alphabet[] = {' ', '\n', '\r',  '\t',  'a',    'S',    '\'',
                               '1', '.',  0x17f, 0x301, 0x3000, 0x4e00, 0x1f44d};
  for (int round = 0; round < 2000; ++round) {
    std::string text, joined;
    for (auto left = random() % 20; left > 0; --left)
      append_utf8(text, alphabet[random() % std::size(alphabet)]);
    for (const auto word : llama3_split(text)) {
      EXPECT_FALSE(word.empty());
      joined += word;
    }
    EXPECT_EQ(joined, text);
  }
}

// Unicode 16.0 has 141,028 letters and 1,911 numbers, as the tokenizers and tiktoken libraries count them.
TEST(UnicodeTable, Counts) {
  int letters = 0, numbers = 0, spaces = 0;
  for (char32_t c = 0; c < 0x110000; ++c)
    letters += is_letter(c), numbers += is_number(c), spaces += is_space(c);
  EXPECT_EQ(letters, 141028);
  EXPECT_EQ(numbers, 1911);
  EXPECT_EQ(spaces, 25);
  EXPECT_FALSE(is_space(0x1c));
  EXPECT_TRUE(is_letter(0x1c89) && is_letter(0x323af) && is_number(0x10d40));
}

TEST(Utf8, RoundTripOfEveryCodePoint) {
  for (char32_t c = 0; c < 0x110000; ++c) {
    std::string text;
    append_utf8(text, c);
    const CodePoint read = first_code_point(text);
    const bool surrogate = c >= 0xd800 && c < 0xe000;
    ASSERT_EQ(read.valid, !surrogate) << uint32_t(c);
    if (!surrogate) ASSERT_TRUE(read.value == c && read.length == text.size()) << uint32_t(c);
  }
}

TEST(Utf8, InvalidBytesByMaximalSubparts) {
  EXPECT_EQ(replace_invalid_utf8("a\xff"
                                 "b"),
            "a\ufffd"
            "b");
  EXPECT_EQ(replace_invalid_utf8("\xe4\xb8"), "\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xf0\x9f\x91x"), "\ufffdx");
  EXPECT_EQ(replace_invalid_utf8("\xc0\xaf"), "\ufffd\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xed\xa0\x80"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xf4\x90\x80\x80"), "\ufffd\ufffd\ufffd\ufffd");
  EXPECT_EQ(replace_invalid_utf8("\xe0\x80\xaf"), "\ufffd\ufffd\ufffd");
  EXPECT_EQ(replace_invalid_utf8(std::string_view("\0\xc3\xa9", 3)), std::string_view("\0\xc3\xa9", 3));
}

}  // namespace
}  // namespace dehvf

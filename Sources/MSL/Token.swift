import MIL

/// A piece of preprocessed source that has a meaning of its own.
struct Token {
    enum Kind { case word, number, text, symbol, directive }

    let kind: Kind
    let text: String
    /// The line of the user's source.
    let line: Int
    /// Whether white space stands in front.
    let isSpaced: Bool
}

extension Token {
    /// The tokens of what a preprocessor wrote: no comments, and `# 12 "file"` says where lines come from.
    static func split(_ source: String) -> [Token] {
        var splitter = Splitter(bytes: Array(source.utf8))
        return splitter.all()
    }
}

private struct Splitter {
    let bytes: [UInt8]
    private var position = 0
    private var line = 1
    private var tokens: [Token] = []
    private var isSpaced = true
    private var startsLine = true

    init(bytes: [UInt8]) { self.bytes = bytes }

    private static let pairs = Set([
        "::", "->", "<<", "<=", ">=", "==", "!=", "&&", "||", "++", "--", "+=", "-=", "*=", "/=", "%=",
    ])

    mutating func all() -> [Token] {
        while position < bytes.count {
            switch bytes[position] {
            case UInt8(ascii: "\n"):
                line += 1
                position += 1
                (isSpaced, startsLine) = (true, true)
            case UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"), 0x0b, 0x0c:
                position += 1
                isSpaced = true
            case UInt8(ascii: "#") where startsLine: directive()
            default: token()
            }
        }
        return tokens
    }

    private func byte(_ index: Int) -> UInt8 { index < bytes.count ? bytes[index] : 0 }

    private static func isWord(_ byte: UInt8) -> Bool {
        let lower = byte | 0x20
        return lower >= 0x61 && lower <= 0x7a || byte == 0x5f || byte >= 0x80 || isDigit(byte)
    }
    private static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

    /// A line marker moves the line; other directives, such as pragmas, stay as they are.
    private mutating func directive() {
        let start = position
        while position < bytes.count, bytes[position] != UInt8(ascii: "\n") { position += 1 }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        let words = text.dropFirst().split(separator: " ")
        if let first = words.first, let number = Int(first) {
            line = number - 1
        } else if words.first == "line", words.count > 1, let number = Int(words[1]) {
            line = number - 1
        } else if !text.hasPrefix("#pragma METAL") {
            tokens.append(Token(kind: .directive, text: text, line: line, isSpaced: true))
        }
    }

    private mutating func token() {
        let (start, first) = (position, bytes[position])
        let kind: Token.Kind
        if Splitter.isDigit(first) || first == UInt8(ascii: ".") && Splitter.isDigit(byte(position + 1)) {
            kind = .number
            number()
        } else if Splitter.isWord(first) {
            kind = .word
            while Splitter.isWord(byte(position)) { position += 1 }
        } else if first == UInt8(ascii: "\"") || first == UInt8(ascii: "'") {
            kind = .text
            quoted(first)
        } else {
            kind = .symbol
            let pair = String(decoding: [first, byte(position + 1)], as: UTF8.self)
            position += Splitter.pairs.contains(pair) ? 2 : 1
        }
        tokens.append(
            Token(
                kind: kind, text: String(decoding: bytes[start..<position], as: UTF8.self), line: line,
                isSpaced: isSpaced))
        (isSpaced, startsLine) = (false, false)
    }

    private mutating func number() {
        let isHex = byte(position + 1) | 0x20 == UInt8(ascii: "x")
        repeat {
            let exponent = bytes[position] | 0x20
            position += 1
            let isSign = byte(position) == UInt8(ascii: "+") || byte(position) == UInt8(ascii: "-")
            if isSign, exponent == UInt8(ascii: "p") || exponent == UInt8(ascii: "e") && !isHex { position += 1 }
        } while Splitter.isWord(byte(position)) || byte(position) == UInt8(ascii: ".")
    }

    private mutating func quoted(_ quote: UInt8) {
        position += 1
        while position < bytes.count, bytes[position] != quote, bytes[position] != UInt8(ascii: "\n") {
            position += bytes[position] == UInt8(ascii: "\\") ? 2 : 1
        }
        position = min(position + 1, bytes.count)
    }
}
